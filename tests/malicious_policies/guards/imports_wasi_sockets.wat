;; A guard that imports what no grant was configured for.
;; Expected: load error.
(component
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
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
