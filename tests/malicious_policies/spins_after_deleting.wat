;; Deletes, then spins. Must be stopped for its processor time: 500, and the record is said to be deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (loop $again (br $again))
      (call $deleted))
  )
  ;; include export
)
