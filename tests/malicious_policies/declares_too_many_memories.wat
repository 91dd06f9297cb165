;; Declares more memories than the limit.
;; Expected: load error.
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
