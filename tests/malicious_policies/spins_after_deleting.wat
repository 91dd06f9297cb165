;; Deletes, then loops endlessly.
;; Expected: CPU time limit, 500, record deleted.
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
