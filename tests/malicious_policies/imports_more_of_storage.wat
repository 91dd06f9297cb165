;; Asks storage for a function that it does not have. Must be refused when it is loaded, with its name.
(component
  (import "learnings:plugin/storage@0.1.0" (instance
    (export "delete-all" (func))
  ))
)
