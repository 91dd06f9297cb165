;; Is a component, and exports nothing. Must be refused when it is loaded.
(component)
