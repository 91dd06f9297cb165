;; Forwards every call. The guards of the tests stand in a chain with it.
;; Expected: 204.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-deletes
  )
  ;; include guard-export
)
