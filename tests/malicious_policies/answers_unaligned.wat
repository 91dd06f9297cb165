;; Points to an answer that is not aligned. 500, and the record is kept.
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
