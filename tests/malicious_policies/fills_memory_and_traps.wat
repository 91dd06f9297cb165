;; Grows its memory to 15.6 MiB, writes to all of it, and traps.
;; Expected: 500, record not deleted, and the memory is returned to the system.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (drop (memory.grow (i32.const 246)))
      (memory.fill (i32.const 4096) (i32.const 1) (i32.const 16379904))
      unreachable)
  )
  ;; include export
)
