;; A component without exports.
;; Expected: load error.
(component)
