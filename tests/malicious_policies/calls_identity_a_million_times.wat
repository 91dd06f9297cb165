;; Calls `identity.current` a million times, then would delete.
;; Expected: too many calls, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $times i32)
      (loop $again
        (call $current (i32.const 0))
        (local.set $times (i32.add (local.get $times) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $times) (i32.const 1000000))))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
