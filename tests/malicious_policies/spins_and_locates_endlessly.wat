;; Alternates endlessly between a loop of 100,000 iterations and `storage.locate`.
;; Expected: too many calls, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (local $left i32)
      (loop $again
        (local.set $left (i32.const 100000))
        (loop $spin
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $spin (local.get $left)))
        (call $locate (i32.const 0))
        (br $again))
      (call $deleted))
  )
  ;; include export
)
