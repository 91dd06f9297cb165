;; Deletes, then returns the rejection 404.
;; Expected: 500, record deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $rejected (i32.const 404) (i32.const 3) (i32.const 2048) (i32.const 7) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
