;; Asks who is calling, spins, and would delete. Must be stopped for its processor time: 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $current (i32.const 0))
      (loop $again (br $again))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
