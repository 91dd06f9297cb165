;; Reads both clocks. Deletes if the wall clock is after the year 2024 and the monotonic clock advances.
;; Expected: 500 without `clocks`, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  ;; include wasi-clocks
  (core module $policy
    (import "wasi" "now" (func $now (result i64)))
    (import "wasi" "wall" (func $wall (param i32)))
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $begun i64)
      (local.set $begun (call $now))
      (call $wall (i32.const 0))
      (if (i64.lt_u (i64.load (i32.const 0)) (i64.const 1735689600)) (then unreachable))
      (if (i64.le_u (call $now) (local.get $begun)) (then unreachable))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include wasi
)
