;; Returns a rejection with the learning id as its detail and the db-id as its rule.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (local.get 0) (local.get 1) (local.get 3) (local.get 4)))
  )
  ;; include export
)
