;; Returns a rejection with a detail that is not UTF-8.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (data (i32.const 2064) "\c3\28")
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2064) (i32.const 2) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
