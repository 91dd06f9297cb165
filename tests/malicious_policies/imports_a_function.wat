;; Asks for a function that is in no interface. Must be refused when it is loaded, with its name.
(component
  (import "delete-everything" (func))
)
