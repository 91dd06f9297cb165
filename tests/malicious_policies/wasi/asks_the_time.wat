;; Asks for the time by both clocks, and deletes if it is after the year 2024 by the one and goes on by the other.
;; Must be stopped where clocks are not allowed: 500, and the record is kept.
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
