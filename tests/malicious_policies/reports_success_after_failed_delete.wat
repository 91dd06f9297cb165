;; Returns success although storage returned that another user owns the record.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete-if-owned-by (i32.const 2056) (i32.const 7) (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
