import{a,b}from"./chunk-ANLQZQGX.js";import"./chunk-3B4AUMNL.js";import"./chunk-4AT35NJ7.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
