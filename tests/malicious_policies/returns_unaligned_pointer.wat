;; Returns a pointer that is not aligned.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (i32.const 1025))
  )
  ;; include export
)
