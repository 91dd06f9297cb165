;; Returns a rejection with U+009B in its detail, which starts a command in some terminals.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (data (i32.const 2064) "No\c2\9b.")
    (func (export "delete-learning") (type $decide)
      (call $rejected (i32.const 403) (i32.const 2) (i32.const 2064) (i32.const 5) (i32.const 2056) (i32.const 7)))
  )
  ;; include export
)
