;; Says that the record is deleted, and has not asked for it. Must not be believed: 500, and the record is kept.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
