;; Sleeps for a day, and then deletes.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  ;; include wasi-clocks
  (core module $guard
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    ;; include guard
    ;; include guard-reads
    ;; include guard-other-deletes
    (func (export "delete-if-owned-by") (param i32 i32) (result i32)
      (call $block (call $subscribe (i64.const 86400000000000)))
      (call $delete-if-owned-by (local.get 0) (local.get 1) (i32.const 512))
      (i32.const 512))
  )
  (core instance $guard (instantiate $guard (with "host" (instance $host)) (with "wasi" (instance $wasi))))
  ;; include guard-lift
)
