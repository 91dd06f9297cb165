;; Imports `storage` of another version of the contract.
;; Expected: load error with its name.
(component
  (import "learnings:plugin/storage@0.2.0" (instance
    (export "delete-all" (func))
  ))
)
