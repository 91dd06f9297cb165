;; Asks for a deletion that takes a list of users. Must be refused when it is loaded.
(component
  (import "learnings:plugin/storage@0.1.0" (instance
    (export "delete-if-owned-by" (func (param "user-ids" (list string))))
  ))
)
