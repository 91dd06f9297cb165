;; Deletes for ever. Must be stopped for its calls: 500, and the record is said to be deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (loop $again
        (call $delete (i32.const 0))
        (br $again))
      unreachable)
  )
  ;; include export
)
