;; Asks for storage of another version of the contract. Must be refused when it is loaded, with its name.
(component
  (import "learnings:plugin/storage@0.2.0" (instance
    (export "delete-all" (func))
  ))
)
