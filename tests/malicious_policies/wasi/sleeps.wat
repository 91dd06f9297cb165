;; Sleeps for a day, by one function of WASI, or by another if there is a db-id.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  ;; include wasi-clocks
  (core module $policy
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "poll" (func $poll (param i32 i32 i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $day i32)
      (local.set $day (call $subscribe (i64.const 86400000000000)))
      (if (local.get 2)
        (then
          (i32.store (i32.const 0) (local.get $day))
          (call $poll (i32.const 0) (i32.const 1) (i32.const 8)))
        (else (call $block (local.get $day))))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
