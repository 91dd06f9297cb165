;; Imports a function that belongs to no interface.
;; Expected: load error with its name.
(component
  (import "delete-everything" (func))
)
