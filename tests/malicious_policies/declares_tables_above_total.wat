;; Declares two tables, each within the limit, whose total is above it.
;; Expected: never runs, 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (table 6000 funcref)
    (table 6000 funcref)
    (func (export "delete-learning") (type $decide)
      (call $delete (i32.const 0))
      (call $deleted))
  )
  ;; include export
)
