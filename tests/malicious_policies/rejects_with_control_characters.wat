;; Returns a rejection with a detail that would forge a log line.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (data (i32.const 2064) "No.\0d\0aAllowed: ")
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2064) (i32.const 14) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
