;; Spins for a moment, asks where the record is, and so on without end. Must be stopped: 500, and the record is kept.
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
