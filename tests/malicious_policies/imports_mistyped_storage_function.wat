;; Imports a delete that takes a list of users.
;; Expected: load error.
(component
  (import "learnings:plugin/storage@0.1.0" (instance
    (export "delete-if-owned-by" (func (param "user-ids" (list string))))
  ))
)
