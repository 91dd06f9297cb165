;; Computes for a long time, then deletes without a condition.
;; Expected: 204.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $left i32)
      (call $current (i32.const 0))
      (local.set $left (i32.const 1000000000))
      (loop $again
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $again (local.get $left)))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
