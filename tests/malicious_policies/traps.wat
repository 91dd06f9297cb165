;; Traps at once. 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      unreachable)
  )
  ;; include export
)
