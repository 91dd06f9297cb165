;; Returns a rejection with an empty rule.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 0)))
  )
  ;; include export
)
