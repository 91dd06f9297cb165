;; Answers neither success nor refusal, but a third case of the two. 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (i32.store8 (i32.const 1024) (i32.const 2))
      (i32.const 1024))
  )
  ;; include export
)
