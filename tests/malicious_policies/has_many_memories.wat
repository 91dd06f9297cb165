;; Is made of more memories than a policy may be. Must be refused when it is loaded.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (memory 0)
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
