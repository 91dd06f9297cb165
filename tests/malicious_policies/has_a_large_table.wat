;; Has a larger table than a policy may have. Must be refused when it is loaded.
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
