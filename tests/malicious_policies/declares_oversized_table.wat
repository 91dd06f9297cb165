;; Declares a table whose initial size is above the limit.
;; Expected: load error.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (table 1000000 funcref)
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
