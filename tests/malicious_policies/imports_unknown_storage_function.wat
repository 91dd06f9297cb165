;; Imports a function of `storage` that does not exist.
;; Expected: load error with its name.
(component
  (import "learnings:plugin/storage@0.1.0" (instance
    (export "delete-all" (func))
  ))
)
