;; Deletes twice and returns success. The second delete returns `absent`, as the contract specifies.
;; Expected: 204, because the record is deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
