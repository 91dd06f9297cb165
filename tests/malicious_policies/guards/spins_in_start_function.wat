;; Loops endlessly when it is instantiated.
;; Expected: 500, record not deleted.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $guard
    ;; include guard
    ;; include guard-reads
    ;; include guard-deletes
    (func $start (loop $again (br $again)))
    (start $start)
  )
  ;; include guard-export
)
