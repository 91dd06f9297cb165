;; Traps when it is instantiated.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-deletes
    (func $start unreachable)
    (start $start)
  )
  ;; include guard-export
)
