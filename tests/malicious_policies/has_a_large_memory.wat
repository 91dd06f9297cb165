;; Has from the start one page more than a policy may have. Must be refused when it is loaded.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (memory 257)
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
