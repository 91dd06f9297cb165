;; Imports the contract and exports nothing.
;; Expected: load error.
(component
  ;; include imports
)
