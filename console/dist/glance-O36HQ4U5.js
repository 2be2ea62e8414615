import{a,b}from"./chunk-5IPIK7GN.js";import"./chunk-RGBXG2KN.js";import"./chunk-YGLY2FDH.js";import"./chunk-IIDRGJRD.js";import"./chunk-ONFQWQRN.js";export{b as default,a as hosts};
