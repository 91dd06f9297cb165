;; Returns success without calling a delete.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
