;; Returns a rejection with a rule that contains spaces and capital letters.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (data (i32.const 2064) "Rule of X")
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2048) (i32.const 7) (i32.const 2064) (i32.const 9)))
  )
  ;; include export
)
