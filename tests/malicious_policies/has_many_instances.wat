;; Is made of more core instances than a policy may be. Must be refused when it is loaded.
(component
  ;; include imports
  ;; include memory
  ;; include host
  (core module $more)
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core instance (instantiate $more))
  (core module $policy
    ;; include core
    (func (export "delete-learning") (type $decide)
      (call $deleted))
  )
  ;; include export
)
