;; Creates a timer for each byte of the learning id and drops none. Then returns a rejection.
(component
  ;; include imports
  ;; include memory
  ;; include host
  ;; include wasi-clocks
  (core module $policy
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again
        (if (local.get 1)
          (then
            (drop (call $subscribe (i64.const 1000000000)))
            (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
            (br $again))))
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  ;; include wasi
)
