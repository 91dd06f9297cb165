;; Declares a memory whose initial size is one page above the limit.
;; Expected: load error.
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
